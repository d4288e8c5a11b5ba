//! The service registry as a server: `service-server serve`, and what operators need around it.

mod busy;
mod cli;
mod clusters;
mod commands;
mod connections;
mod conversation;
mod demo;
mod failure;
mod framing;
mod health;
mod jwt;
mod logs;
mod manual;
mod measures;
mod open;
#[cfg(feature = "otel")]
mod otel;
#[cfg(test)]
mod packaging;
mod retold;
mod serve;
mod shutdown;
mod store_url;
mod stream;
mod transfer;
mod ttl;

use std::process::ExitCode;

fn main() -> ExitCode {
    match cli::parse(std::env::args_os()).and_then(commands::run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}
