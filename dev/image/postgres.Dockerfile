# PostgreSQL for trying out: Debian's package behind the interface of the official image (user id 999, the POSTGRES_*
# variables, /docker-entrypoint-initdb.d). In production the chart names an official image or an external server.
# Its just-in-time compiler is left out: a third of the size, and without it PostgreSQL simply does not use it.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
FROM ${PYTHON_IMAGE}

RUN groupadd --system --gid 999 postgres \
 && useradd --system --uid 999 --gid 999 --home-dir /var/lib/postgresql --shell /bin/sh postgres \
 && mkdir -p /etc/postgresql-common \
 && echo "create_main_cluster = false" > /etc/postgresql-common/createcluster.conf \
 && apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends \
      -o Dpkg::Options::=--force-confold postgresql \
 && rm -f /usr/lib/postgresql/*/lib/llvmjit* /usr/lib/*/libLLVM-*.so* \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /usr/share/doc/* \
 && ln -s /usr/lib/postgresql/*/bin/* /usr/local/bin/ \
 && install -d -o 999 -g 999 -m 0700 /var/lib/postgresql/data \
 && install -d -o 999 -g 999 -m 0775 /var/run/postgresql \
 && install -d /docker-entrypoint-initdb.d

COPY --chmod=0755 dev/image/postgres-entrypoint.sh /usr/local/bin/docker-entrypoint.sh

# A folder below the volume, not the volume itself: only such a one can be put in place whole.
ENV PGDATA=/var/lib/postgresql/data/pgdata
USER 999:999
EXPOSE 5432
# A fast shutdown: sessions are ended, nothing is lost.
STOPSIGNAL SIGINT
ENTRYPOINT ["docker-entrypoint.sh"]
CMD ["postgres"]
