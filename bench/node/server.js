// server.js - echo servers on Node.js
//
// Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
//
//     node server.js echo PORT     an async function for each connection
//     node server.js events PORT   event handlers, without async functions
//     node server.js lines PORT    lines, by the readline module
//     node server.js http PORT     HTTP, which says hello

'use strict';

const net = require('net');
const readline = require('readline');
const { once } = require('events');

async function echo(socket) {
  for await (const data of socket)
    if (!socket.write(data)) await once(socket, 'drain');
}

async function lines(socket) {
  // Latin-1, for what comes may be no UTF-8, and that must not be looked at.
  socket.setEncoding('latin1');
  for await (const line of readline.createInterface({ input: socket, crlfDelay: 0 }))
    if (!socket.write(line + '\n', 'latin1')) await once(socket, 'drain');
}

function events(socket) {
  socket.on('data', data => socket.write(data));
  socket.on('error', () => {});
}

const kind = process.argv[2];
if (kind === 'http') {
  require('http').createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'text/plain', 'Content-Length': 13 });
    response.end('Hello, world!');
  }).listen({ port: Number(process.argv[3]), host: '127.0.0.1', backlog: 1024 });
  return;
}
const handler = { echo, lines, events }[kind];
net.createServer({ noDelay: true }, socket => {
  const done = handler(socket);
  if (done) done.catch(() => {});
}).listen({ port: Number(process.argv[3]), host: '127.0.0.1', backlog: 1024 });
