//! `health`: whether the server of this machine answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::commands::print;
use crate::failure::Failure;

/// How long the server may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// The longest line that is taken for the first one of an answer.
const MAX_LINE: u64 = 256;

/// Asks `GET /healthz`: whether the process answers, if only that it has too many connections. What it stands on, and whether it is in maintenance, is `/readyz`, which is for
/// those who choose among servers; starting another one in place of this would mend neither.
///
/// # Errors
/// When it does not answer so.
pub(crate) async fn health(listen: SocketAddr) -> Result<(), Failure> {
    let address = reachable(listen)
        .ok_or_else(|| Failure::configuration("port 0 is nowhere; say where the server listens"))?;
    let unhealthy = |fault: &str| Failure::Failed(format!("no health at http://{address}: {fault}"));
    match timeout(PATIENCE, first_line(address)).await {
        Ok(Ok(line)) if matches!(line.split(' ').nth(1), Some("200" | "503")) => {
            print(format_args!("http://{address} answers\n"))
        }
        Ok(Ok(line)) => Err(unhealthy(&format!("the answer begins with `{}`", line.trim_end()))),
        Ok(Err(error)) => Err(unhealthy(&error.to_string())),
        Err(_) => Err(unhealthy(&format!("no answer in {} seconds", PATIENCE.as_secs()))),
    }
}

/// Where whoever listens there can be reached from the same machine.
fn reachable(mut listen: SocketAddr) -> Option<SocketAddr> {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
        });
    }
    (listen.port() != 0).then_some(listen)
}

async fn first_line(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream.take(MAX_LINE)).read_line(&mut line).await?;
    Ok(line)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_everywhere_is_reached_through_the_loopback() {
        let at = |listen: &str| reachable(listen.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(at("0.0.0.0:80").as_deref(), Some("127.0.0.1:80"));
        assert_eq!(at("[::]:80").as_deref(), Some("[::1]:80"));
        assert_eq!(at("192.0.2.1:80").as_deref(), Some("192.0.2.1:80"));
        assert_eq!(at("127.0.0.1:0"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_not_waited_for() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let Err(Failure::Failed(message)) = health(silent.local_addr().unwrap()).await else { panic!() };
        assert!(message.ends_with("no answer in 5 seconds"), "{message}");
    }
}
