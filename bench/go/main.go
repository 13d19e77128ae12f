// The workloads and the echo servers as goroutines.
//
// Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
//
//	bench WORKLOAD N
//	bench echo|lines|http PORT
//
// A call is a function call, at any depth; what is pinned to one processor has
// GOMAXPROCS 1.
package main

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

const many = 10000 // the tasks of switch10k, the children of a gather

var (
	name    string
	n       int
	started int64
)

func cpu() int64 {
	var used syscall.Rusage
	syscall.Getrusage(0, &used)
	return (used.Utime.Sec+used.Stime.Sec)*1e9 +
		(used.Utime.Usec+used.Stime.Usec)*1e3
}

func begin() { started = cpu() }

func report(passed int64, operations, sum, expected int) {
	if sum != expected {
		fmt.Fprintf(os.Stderr, "%s: the sum is %d, and should be %d\n", name, sum, expected)
		os.Exit(1)
	}
	fmt.Printf("%s %.4f %d\n", name, float64(passed)/float64(operations), operations)
}

func finish(operations, sum, expected int) {
	report(cpu()-started, operations, sum, expected)
}

func resident() int {
	statm, _ := os.ReadFile("/proc/self/statm")
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	return pages * os.Getpagesize()
}

func sumOf(count int) int {
	sum := count / 1024 * (1023 * 1024 / 2)
	for i := 0; i < count%1024; i++ {
		sum += i
	}
	return sum
}

func sumTo(count int) int { return count * (count - 1) / 2 }

var state uint32 = 12345

// 0 to 1000, in the same order in every program.
func milliseconds() time.Duration {
	state = state*1664525 + 1013904223
	return time.Duration((state>>8)%1001) * time.Millisecond
}

func looper(count int) int {
	i := 0
	for ; i < count; i++ {
		runtime.Gosched()
	}
	return i
}

//go:noinline
func level(depth, count int) int {
	if depth > 0 {
		return level(depth-1, count)
	}
	return looper(count)
}

//go:noinline
func child(i int) int { return i & 1023 }

func runSwitch(tasks int) {
	each := n / tasks
	results := make(chan int, tasks)
	begin()
	for i := 0; i < tasks; i++ {
		go func() { results <- looper(each) }()
	}
	sum := 0
	for i := 0; i < tasks; i++ {
		sum += <-results
	}
	finish(each*tasks, sum, each*tasks)
}

func runDepth(depth int) {
	begin()
	finish(n, level(depth, n), n)
}

func runSpawn() {
	sum := 0
	begin()
	for i := 0; i < n; i++ {
		result := make(chan int, 1)
		go func(i int) { result <- child(i) }(i)
		sum += <-result
	}
	finish(n, sum, sumOf(n))
}

func runCall() {
	sum := 0
	begin()
	for i := 0; i < n; i++ {
		sum += child(i)
	}
	finish(n, sum, sumOf(n))
}

func runSleep() {
	runtime.GC()
	before := resident()
	for i := 0; i < n; i++ {
		go time.Sleep(time.Hour)
	}
	time.Sleep(time.Millisecond)
	fmt.Printf("%s %.1f %d\n", name, float64(resident()-before)/float64(n), n)
}

func runTimers() {
	var all sync.WaitGroup
	begin()
	all.Add(n)
	for i := 0; i < n; i++ {
		go func(delay time.Duration) {
			time.Sleep(delay)
			all.Done()
		}(milliseconds())
	}
	all.Wait()
	finish(n, n, n)
}

func runQueue(capacity int) {
	items := make(chan int, capacity)
	begin()
	go func() {
		for i := 0; i < n; i++ {
			items <- i
		}
	}()
	sum := 0
	for i := 0; i < n; i++ {
		sum += <-items
	}
	finish(n, sum, sumTo(n))
}

func runPingpong() {
	there, back := make(chan int, 1), make(chan int, 1)
	sum := 0
	begin()
	go func() {
		for i := 0; i < n/2; i++ {
			back <- <-there
		}
	}()
	for i := 0; i < n/2; i++ {
		there <- i
		sum += <-back
	}
	finish(n/2*2, sum, sumTo(n/2))
}

func runGather() {
	rounds := n / many
	sum := 0
	begin()
	for round := 0; round < rounds; round++ {
		var all sync.WaitGroup
		results := make([]int, many)
		all.Add(many)
		for i := 0; i < many; i++ {
			go func(i int) {
				results[i] = child(i)
				all.Done()
			}(i)
		}
		all.Wait()
		for _, result := range results {
			sum += result
		}
	}
	finish(rounds*many, sum, rounds*sumOf(many))
}

func runTimeout() {
	sum := 0
	begin()
	for i := 0; i < n; i++ {
		_, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		sum += child(i)
		cancel()
	}
	finish(n, sum, sumOf(n))
}

func runBulk() {
	timers := make([]*time.Timer, n)
	stopped := 0
	begin()
	for i := range timers {
		timers[i] = time.NewTimer(10*time.Second + milliseconds())
	}
	for _, timer := range timers {
		if timer.Stop() {
			stopped++
		}
	}
	finish(n, stopped, n)
}

// Each core makes goroutines and waits for them.
func runCores(count int) {
	runtime.GOMAXPROCS(count)
	sums := make(chan int, count)
	begun := time.Now()
	for core := 0; core < count; core++ {
		go func() {
			sum := 0
			result := make(chan int, 1)
			for i := 0; i < n; i++ {
				go func(i int) { result <- child(i) }(i)
				sum += <-result
			}
			sums <- sum
		}()
	}
	sum := 0
	for core := 0; core < count; core++ {
		sum += <-sums
	}
	report(time.Since(begun).Nanoseconds(), count*n, sum, count*sumOf(n))
}

func echo(peer net.Conn) {
	defer peer.Close()
	buffer := make([]byte, 65536)
	for {
		size, err := peer.Read(buffer)
		if err != nil {
			return
		}
		if _, err = peer.Write(buffer[:size]); err != nil {
			return
		}
	}
}

func echoLines(peer net.Conn) {
	defer peer.Close()
	reader := bufio.NewReaderSize(peer, 65536)
	for {
		line, err := reader.ReadSlice('\n')
		if err != nil {
			return
		}
		if _, err = peer.Write(line); err != nil {
			return
		}
	}
}

func serveHTTP(port int) {
	hello := func(writer http.ResponseWriter, request *http.Request) {
		writer.Header().Set("Content-Type", "text/plain")
		writer.Write([]byte("Hello, world!"))
	}
	panic(http.ListenAndServe(fmt.Sprintf("127.0.0.1:%d", port),
		http.HandlerFunc(hello)))
}

func serve(handler func(net.Conn), port int) {
	listener, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
	if err != nil {
		panic(err)
	}
	for {
		peer, err := listener.Accept()
		if err != nil {
			return
		}
		go handler(peer)
	}
}

func main() {
	if len(os.Args) != 3 {
		os.Exit(2)
	}
	name = os.Args[1]
	n, _ = strconv.Atoi(os.Args[2])
	switch name {
	case "echo":
		serve(echo, n)
	case "lines":
		serve(echoLines, n)
	case "http":
		serveHTTP(n)
	case "switch1":
		runSwitch(1)
	case "switch10k":
		runSwitch(many)
	case "depth1":
		runDepth(1)
	case "depth10":
		runDepth(10)
	case "depth100":
		runDepth(100)
	case "spawn":
		runSpawn()
	case "call":
		runCall()
	case "sleep":
		runSleep()
	case "timers":
		runTimers()
	case "queue1":
		runQueue(1)
	case "queue64":
		runQueue(64)
	case "pingpong":
		runPingpong()
	case "gather":
		runGather()
	case "timeout":
		runTimeout()
	case "bulk":
		runBulk()
	case "cores1":
		runCores(1)
	case "cores2":
		runCores(2)
	default:
		fmt.Fprintf(os.Stderr, "%s is not something that is done here\n", name)
		os.Exit(3)
	}
}
