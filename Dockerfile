FROM node:24.22.3-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
RUN npm ci
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN node scripts/build.ts && find dist -name '*.d.ts' -delete
# Only what the router runs with stays, without declarations and source maps.
RUN npm ci --omit=dev --omit=optional --prefer-offline \
  && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete

FROM node:24.22.3-bookworm-slim
ENV NODE_ENV=production \
    NODE_COMPILE_CACHE=/app/.compile-cache \
    LLM_ROUTER_LOG_FILENAME=""
WORKDIR /app
COPY --from=build /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
COPY package.json ./
COPY bin ./bin
COPY console ./console
COPY resources ./resources
# For LLM_ROUTER_USAGE_SPOOL: a new volume that is mounted there is the process's own. Any user of group 0 may write there, as
# OpenShift runs it.
RUN mkdir -m 770 /var/lib/llm-router && chown 1000:0 /var/lib/llm-router
# Fills Node's compile cache by one start, as the user that will run it and with the options of CMD, because V8 uses no code that
# was compiled with others (--expose-gc counts): each start is then a third quicker. A builder that is too slow for it, emulates another processor or has no network of its own gets the image without the cache.
RUN mkdir .compile-cache && chown 1000 .compile-cache \
  && (setpriv --reuid=1000 --regid=1000 --clear-groups timeout --kill-after=10 60 sh -c \
    'node --disable-sigusr1 --expose-gc --max-semi-space-size=16 dist/server.js & until node dist/cli.js healthcheck; do sleep 1; done; kill $! && wait $!' \
    || echo 'The compile cache was not filled: the first start of a container takes longer.') \
  && chown -R 0:0 .compile-cache && chmod -R a+rX .compile-cache
# The other commands: docker run ... llm-router llm-router check
RUN ln -s /app/bin/llm-router.js /usr/local/bin/llm-router
# The files stay root's: the process can read what it runs, and change nothing. Any other user may run it too.
# By number, that of the image's user "node": Kubernetes cannot tell whether a name is root's (runAsNonRoot).
USER 1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "dist/cli.js", "healthcheck"]
# SIGUSR1 would open Node's debugger. A larger young generation costs memory and longer pauses and saves next to nothing; it is
# collected after large answers (docs/decisions/0007-v8-settings.md).
CMD ["node", "--disable-sigusr1", "--expose-gc", "--max-semi-space-size=16", "dist/server.js"]
