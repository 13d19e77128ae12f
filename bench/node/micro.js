// micro.js - the workloads as async functions on Node.js
//
// Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
//
//     node --expose-gc micro.js WORKLOAD N
//
// To give up the processor is `await null` here: the job runs behind those
// that are ready, but I/O does not get its turn between them.  Node has no
// queue; Ring is one.

'use strict';

const fs = require('fs');

const MANY = 10000;
const [name, argument] = process.argv.slice(2);
const n = Number(argument);

let started;
function begin() {
  started = process.cpuUsage();
}

function finish(operations, sum, expected) {
  const used = process.cpuUsage(started);
  if (sum !== expected) {
    console.error(`${name}: the sum is ${sum}, and should be ${expected}`);
    process.exit(1);
  }
  const each = (used.user + used.system) * 1000 / operations;
  console.log(`${name} ${each.toFixed(4)} ${operations}`);
}

const value = i => i & 1023;

function sumOf(count) {
  let sum = Math.floor(count / 1024) * (1023 * 1024 / 2);
  for (let i = 0; i < count % 1024; i++) sum += i;
  return sum;
}

const sumTo = count => count * (count - 1) / 2;

function resident() {
  return Number(fs.readFileSync('/proc/self/statm', 'utf8').split(' ')[1]) * 4096;
}

let state = 12345;
function milliseconds() {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return (state >>> 8) % 1001;
}

const turn = () => new Promise(resolve => setImmediate(resolve));
const sleep = delay => new Promise(resolve => setTimeout(resolve, delay));

async function looper(count) {
  let i = 0;
  for (; i < count; i++) await null;
  return i;
}

async function level(depth, count) {
  if (depth > 0) return await level(depth - 1, count);
  return await looper(count);
}

async function child(i) {
  return value(i);
}

class Ring {
  constructor(capacity) {
    this.items = new Array(capacity);
    this.in = this.out = 0;
    this.putter = this.getter = null;
  }

  async put(item) {
    while (this.in - this.out === this.items.length)
      await new Promise(resolve => { this.putter = resolve; });
    this.items[this.in++ % this.items.length] = item;
    if (this.getter !== null) {
      this.getter();
      this.getter = null;
    }
  }

  async get() {
    while (this.in === this.out)
      await new Promise(resolve => { this.getter = resolve; });
    const item = this.items[this.out++ % this.items.length];
    if (this.putter !== null) {
      this.putter();
      this.putter = null;
    }
    return item;
  }
}

async function runSwitch(many) {
  const each = Math.floor(n / many);
  begin();
  const tasks = [];
  for (let i = 0; i < many; i++) tasks.push(looper(each));
  let sum = 0;
  for (const looped of await Promise.all(tasks)) sum += looped;
  finish(each * many, sum, each * many);
}

async function runDepth(depth) {
  begin();
  finish(n, await level(depth - 1, n), n); // looper() is a level, too
}

async function runQueue(capacity) {
  const items = new Ring(capacity);
  begin();
  const producer = (async () => {
    for (let i = 0; i < n; i++) await items.put(i);
  })();
  let sum = 0;
  for (let i = 0; i < n; i++) sum += await items.get();
  await producer;
  finish(n, sum, sumTo(n));
}

const workloads = {
  switch1: () => runSwitch(1),
  switch10k: () => runSwitch(MANY),
  depth1: () => runDepth(1),
  depth10: () => runDepth(10),
  depth100: () => runDepth(100),

  async spawn() { // from the loop, not inside the caller
    let sum = 0;
    begin();
    for (let i = 0; i < n; i++)
      sum += await new Promise(resolve => setImmediate(() => resolve(child(i))));
    finish(n, sum, sumOf(n));
  },

  async call() {
    let sum = 0;
    begin();
    for (let i = 0; i < n; i++) sum += await child(i);
    finish(n, sum, sumOf(n));
  },

  async sleep() {
    const tasks = new Array(n);
    gc();
    const before = resident();
    for (let i = 0; i < n; i++)
      tasks[i] = (async () => { await sleep(3600e3); })();
    await turn();
    gc();
    console.log(`${name} ${((resident() - before) / n).toFixed(1)} ${n}`);
    process.exit(0);
  },

  async timers() {
    const tasks = [];
    begin();
    for (let i = 0; i < n; i++) tasks.push(sleep(milliseconds()));
    finish(n, (await Promise.all(tasks)).length, n);
  },

  queue1: () => runQueue(1),
  queue64: () => runQueue(64),

  async pingpong() {
    const there = new Ring(1), back = new Ring(1), half = Math.floor(n / 2);
    begin();
    const ponger = (async () => {
      for (let i = 0; i < half; i++) await back.put(await there.get());
    })();
    let sum = 0;
    for (let i = 0; i < half; i++) {
      await there.put(i);
      sum += await back.get();
    }
    await ponger;
    finish(2 * half, sum, sumTo(half));
  },

  async gather() {
    const rounds = Math.floor(n / MANY);
    let sum = 0;
    begin();
    for (let round = 0; round < rounds; round++) {
      const tasks = [];
      for (let i = 0; i < MANY; i++) tasks.push(child(i));
      for (const result of await Promise.all(tasks)) sum += result;
    }
    finish(rounds * MANY, sum, rounds * sumOf(MANY));
  },

  async timeout() {
    let sum = 0;
    begin();
    for (let i = 0; i < n; i++) {
      let timer;
      sum += await Promise.race([child(i), new Promise((_, reject) => {
        timer = setTimeout(reject, 10000);
      })]);
      clearTimeout(timer);
    }
    finish(n, sum, sumOf(n));
  },

  async bulk() {
    const timers = new Array(n);
    let late = 0;
    begin();
    for (let i = 0; i < n; i++)
      timers[i] = setTimeout(() => late++, 10000 + milliseconds());
    for (let i = 0; i < n; i++) clearTimeout(timers[i]);
    finish(n, late, 0);
  },
};

if (!(name in workloads)) {
  console.error(`${name} is not something that is done here`);
  process.exit(3);
}
workloads[name]();
