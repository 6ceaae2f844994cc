FROM node:24.22.3-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --omit=optional && npm cache clean --force

FROM node:24.22.3-bookworm-slim
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/app/.compile-cache \
    LLM_ROUTER_LOG_FILENAME=""
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY console ./console
COPY resources ./resources
COPY src ./src
# Fills Node's compile cache by one start, as the user that will run it: each start is then a third quicker. A builder that is
# too slow for it, emulates another processor or has no network of its own gets the image without the cache.
RUN mkdir .compile-cache && chown 1000 .compile-cache \
  && (setpriv --reuid=1000 --regid=1000 --clear-groups timeout --kill-after=10 60 sh -c \
    'node src/server.ts & until node src/cli.ts healthcheck; do sleep 1; done; kill $! && wait $!' \
    || echo 'The compile cache was not filled: the first start of a container takes longer.') \
  && chown -R 0:0 .compile-cache && chmod -R a+rX .compile-cache
# The files stay root's: the process can read what it runs, and change nothing.
# By number, that of the image's user "node": Kubernetes cannot tell whether a name is root's (runAsNonRoot).
USER 1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.LLM_ROUTER_SERVER_PORT || 8080}/ping`).then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]
# SIGUSR1 would open Node's debugger. A larger young generation costs memory and longer pauses and saves next to nothing; it is
# collected after large answers (docs/decisions/0007-v8-settings.md).
CMD ["node", "--disable-sigusr1", "--expose-gc", "--max-semi-space-size=16", "src/server.ts"]
