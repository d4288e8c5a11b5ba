# The server and the libraries it is linked with, and nothing else: no shell, no packages. Built from the root of the repository:
#   docker build -t service-registry .
# docs/operations.md says how to run it.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --release --locked --package service-server && \
    install -D --strip target/release/service-server /image/usr/bin/service-server
# The libraries are found where the program looks for them, the loader included. With glibc's own, names of hosts are looked up in
# /etc/hosts first, then in the DNS.
RUN ldd /image/usr/bin/service-server | grep --only-matching '/lib[^ ]*' | xargs cp --parents --dereference --target-directory=/image && \
    install -D --mode=644 /etc/ssl/certs/ca-certificates.crt --target-directory=/image/etc/ssl/certs && \
    echo 'hosts: files dns' > /image/etc/nsswitch.conf && \
    echo 'registry:x:10001:10001::/var/lib/service-registry:/nologin' > /image/etc/passwd && \
    install --directory --mode=1777 /image/tmp && \
    install --directory --mode=700 --owner=10001 --group=10001 /image/var/lib/service-registry

FROM scratch
COPY --from=build /image /
USER 10001:10001
ENV SERVICE_LISTEN=0.0.0.0:8080 \
    SERVICE_STORE=sqlite:/var/lib/service-registry/registry.sqlite
EXPOSE 8080
VOLUME /var/lib/service-registry
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["/usr/bin/service-server", "health"]
ENTRYPOINT ["/usr/bin/service-server"]
CMD ["serve"]
