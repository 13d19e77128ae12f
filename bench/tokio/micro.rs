//! The workloads as tasks of tokio, on its runtime of one thread.
//!
//! Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
//!
//!     micro WORKLOAD N
//!
//! What runs is itself a task, and not the root future of block_on(), which
//! is slower to wake.

use std::future::Future;
use std::hint::black_box;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Wake};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task;

const MANY: u64 = 10000; // the tasks of switch10k, the children of a gather
const BATCH: u64 = 1000; // what another thread starts before it waits

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

struct Job {
    name: String,
    n: u64,
    started: u64,
}

fn cpu() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    unsafe { libc::clock_gettime(libc::CLOCK_PROCESS_CPUTIME_ID, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

impl Job {
    fn begin(&mut self) {
        self.started = cpu();
    }
    fn finish(&self, operations: u64, sum: u64, expected: u64) {
        let passed = cpu() - self.started;
        if sum != expected {
            eprintln!("{}: the sum is {}, and should be {}", self.name, sum, expected);
            std::process::exit(1);
        }
        println!("{} {:.4} {}", self.name, passed as f64 / operations as f64, operations);
    }
}

fn resident() -> i64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: i64 = statm.split_whitespace().nth(1).unwrap().parse().unwrap();
    pages * 4096
}

fn value(i: u64) -> u64 {
    i & 1023
}
fn sum_of(count: u64) -> u64 {
    (0..count % 1024).sum::<u64>() + count / 1024 * (1023 * 1024 / 2)
}
fn sum_to(count: u64) -> u64 {
    if count == 0 { 0 } else { count * (count - 1) / 2 }
}

/// 0 to 1000 milliseconds, in the same order in every program.
struct Delays(u32);
impl Delays {
    fn next(&mut self) -> Duration {
        self.0 = self.0.wrapping_mul(1664525).wrapping_add(1013904223);
        Duration::from_millis(((self.0 >> 8) % 1001) as u64)
    }
}

async fn looper(count: u64) -> u64 {
    for _ in 0..count {
        task::yield_now().await;
    }
    count
}

/// Recursion must be boxed.
fn level(depth: u64, count: u64) -> Boxed<u64> {
    Box::pin(async move {
        if depth > 0 {
            return level(depth - 1, count).await;
        }
        looper(count).await
    })
}

#[inline(never)]
async fn child(i: u64) -> u64 {
    value(i)
}

async fn run_switch(mut job: Job, many: u64) {
    let each = job.n / many;
    job.begin();
    let tasks: Vec<_> = (0..many).map(|_| task::spawn(looper(each))).collect();
    let mut sum = 0;
    for task in tasks {
        sum += task.await.unwrap();
    }
    job.finish(each * many, sum, each * many);
}

async fn run_depth(mut job: Job, depth: u64) {
    job.begin();
    let looped = level(depth - 1, job.n).await; // looper() is a level, too
    job.finish(job.n, looped, job.n);
}

async fn run_spawn(mut job: Job) {
    let mut sum = 0;
    job.begin();
    for i in 0..job.n {
        sum += task::spawn(child(i)).await.unwrap();
    }
    job.finish(job.n, sum, sum_of(job.n));
}

async fn run_call(mut job: Job) {
    let mut sum = 0;
    job.begin();
    for i in 0..job.n {
        sum += black_box(child(i)).await;
    }
    job.finish(job.n, sum, sum_of(job.n));
}

async fn run_sleep(job: Job) {
    let before = resident();
    for _ in 0..job.n {
        task::spawn(async { tokio::time::sleep(Duration::from_secs(3600)).await });
    }
    for _ in 0..job.n / 30 + 100 {
        task::yield_now().await;
    }
    println!("{} {:.1} {}", job.name, (resident() - before) as f64 / job.n as f64, job.n);
    std::process::exit(0);
}

async fn run_timers(mut job: Job) {
    let mut delays = Delays(12345);
    let mut ended = 0;
    job.begin();
    let tasks: Vec<_> = (0..job.n)
        .map(|_| {
            let delay = delays.next();
            task::spawn(async move { tokio::time::sleep(delay).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
        ended += 1;
    }
    job.finish(job.n, ended, job.n);
}

async fn run_queue(mut job: Job, capacity: usize) {
    let n = job.n;
    let (putting, mut getting) = mpsc::channel::<u64>(capacity);
    job.begin();
    let producer = task::spawn(async move {
        for i in 0..n {
            putting.send(i).await.unwrap();
        }
    });
    let mut sum = 0;
    for _ in 0..n {
        sum += getting.recv().await.unwrap();
    }
    producer.await.unwrap();
    job.finish(n, sum, sum_to(n));
}

async fn run_pingpong(mut job: Job) {
    let half = job.n / 2;
    let (put_there, mut get_there) = mpsc::channel::<u64>(1);
    let (put_back, mut get_back) = mpsc::channel::<u64>(1);
    job.begin();
    let ponger = task::spawn(async move {
        for _ in 0..half {
            put_back.send(get_there.recv().await.unwrap()).await.unwrap();
        }
    });
    let mut sum = 0;
    for i in 0..half {
        put_there.send(i).await.unwrap();
        sum += get_back.recv().await.unwrap();
    }
    ponger.await.unwrap();
    job.finish(2 * half, sum, sum_to(half));
}

async fn run_gather(mut job: Job) {
    let rounds = job.n / MANY;
    let mut sum = 0;
    job.begin();
    for _ in 0..rounds {
        let tasks: Vec<_> = (0..MANY).map(|i| task::spawn(child(i))).collect();
        for task in tasks {
            sum += task.await.unwrap();
        }
    }
    job.finish(rounds * MANY, sum, rounds * sum_of(MANY));
}

/// What is awaited yields once: a timeout around what is ready at once never
/// arms its timer.
async fn run_timeout(mut job: Job) {
    async fn yielding(i: u64) -> u64 {
        task::yield_now().await;
        value(i)
    }
    let mut sum = 0;
    job.begin();
    for i in 0..job.n {
        sum += tokio::time::timeout(Duration::from_secs(10), yielding(i)).await.unwrap();
    }
    job.finish(job.n, sum, sum_of(job.n));
}

/// Sleeps are armed when they are polled first, and cancelled when dropped.
async fn run_bulk(mut job: Job) {
    struct Nobody;
    impl Wake for Nobody {
        fn wake(self: Arc<Self>) {}
    }
    let waker = Arc::new(Nobody).into();
    let mut delays = Delays(12345);
    let mut ready = 0;
    job.begin();
    {
        let mut context = Context::from_waker(&waker);
        let mut sleeps = Vec::with_capacity(job.n as usize);
        for _ in 0..job.n {
            let delay = Duration::from_secs(10) + delays.next();
            let mut sleep = Box::pin(tokio::time::sleep(delay));
            ready += sleep.as_mut().poll(&mut context).is_ready() as u64;
            sleeps.push(sleep);
        }
    }
    job.finish(job.n, ready, 0);
}

async fn run_threads(mut job: Job) {
    let count = job.n - job.n % BATCH;
    let runtime = tokio::runtime::Handle::current();
    let (ended, end) = tokio::sync::oneshot::channel();
    job.begin();
    let thread = std::thread::spawn(move || {
        let mut sum = 0;
        for i in 0..count / BATCH {
            let (done, results) = std::sync::mpsc::channel();
            for j in 0..BATCH {
                let done = done.clone();
                runtime.spawn(async move {
                    done.send(child(i * BATCH + j).await).unwrap();
                });
            }
            for _ in 0..BATCH {
                sum += results.recv().unwrap();
            }
        }
        ended.send(sum).unwrap();
    });
    let sum = end.await.unwrap();
    thread.join().unwrap();
    job.finish(count, sum, sum_of(count));
}

async fn run(job: Job) {
    match job.name.as_str() {
        "switch1" => run_switch(job, 1).await,
        "switch10k" => run_switch(job, MANY).await,
        "depth1" => run_depth(job, 1).await,
        "depth10" => run_depth(job, 10).await,
        "depth100" => run_depth(job, 100).await,
        "spawn" => run_spawn(job).await,
        "call" => run_call(job).await,
        "sleep" => run_sleep(job).await,
        "timers" => run_timers(job).await,
        "queue1" => run_queue(job, 1).await,
        "queue64" => run_queue(job, 64).await,
        "pingpong" => run_pingpong(job).await,
        "gather" => run_gather(job).await,
        "timeout" => run_timeout(job).await,
        "bulk" => run_bulk(job).await,
        "threads" => run_threads(job).await,
        _ => {
            eprintln!("{} is not something that is done here", job.name);
            std::process::exit(3);
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let job = Job { name: arguments[1].clone(), n: arguments[2].parse().unwrap(), started: 0 };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { task::spawn(run(job)).await.unwrap() });
}
