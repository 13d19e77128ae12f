//! Echo servers on tokio, on its runtime of one thread: a task a connection.
//!
//! Part of Caesura, asyncio for C.  MIT licence, see LICENSE.
//!
//!     server echo|lines PORT

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

async fn echo(mut peer: TcpStream) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 65536];
    loop {
        let n = peer.read(&mut buffer).await?;
        if n == 0 {
            return Ok(());
        }
        peer.write_all(&buffer[..n]).await?;
    }
}

async fn echo_lines(mut peer: TcpStream) -> std::io::Result<()> {
    let (reading, mut writing) = peer.split();
    let mut reader = BufReader::with_capacity(65536, reading);
    let mut line = Vec::new();
    loop {
        line.clear();
        if reader.read_until(b'\n', &mut line).await? == 0 {
            return Ok(());
        }
        writing.write_all(&line).await?;
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let lines = arguments[1] == "lines";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind(format!("127.0.0.1:{}", arguments[2])).await.unwrap();
        loop {
            let (peer, _) = listener.accept().await.unwrap();
            peer.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let _ = if lines { echo_lines(peer).await } else { echo(peer).await };
            });
        }
    });
}
