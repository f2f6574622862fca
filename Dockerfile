# The three commands on Debian 13. Nothing is written but /var/lib/pixverse, so
# the root file system may be read-only.

FROM debian:trixie-slim AS build
WORKDIR /src
COPY deploy/install deploy/install
RUN deploy/install build
COPY CMakeLists.txt ./
COPY sql sql
COPY lib lib
COPY cmd cmd
RUN cmake -S . -B /build -G Ninja -DCMAKE_BUILD_TYPE=Release \
    && cmake --build /build \
    && cmake --install /build --prefix /out --strip

FROM debian:trixie-slim
ARG VERSION=1.0.0
ARG REVISION=
LABEL org.opencontainers.image.title="pixverse-worker" \
    org.opencontainers.image.description="Takes video requests from Kafka, has them made, stores the videos, announces their ends" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION" \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.base.name="docker.io/library/debian:trixie-slim"
RUN apt-get update \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
        --no-install-recommends ca-certificates libbrotli1 libcurl4t64 \
        libjansson4 libmicrohttpd12t64 libnghttp2-14 libpq5 librdkafka1 \
        libsmartcols1 libssl3t64 libuv1t64 libzstd1 zlib1g \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin \
    && useradd --system --uid 10001 --user-group --no-create-home \
        --home-dir /nonexistent --shell /usr/sbin/nologin pixverse \
    && install -d -o 10001 -g 10001 /var/lib/pixverse /var/lib/pixverse/videos
COPY --from=build /out/bin/ /usr/local/bin/
COPY --from=build /out/share/ /usr/local/share/

# By number, so that an orchestrator can see that it is not root.
USER 10001:10001
# Probes come from outside the container.
ENV ADMIN_LISTEN=0.0.0.0:9464
EXPOSE 9464
# Whether the loop turns: dependencies that are away are no reason to restart it.
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
    CMD ["/usr/local/bin/pixverse-worker", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/pixverse-worker"]
CMD ["run"]
