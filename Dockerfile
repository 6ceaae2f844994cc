FROM node:24.22.3-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc tsconfig.json tsconfig.build.json ./
RUN npm ci
COPY scripts/build.ts ./scripts/
COPY src ./src
RUN node scripts/build.ts && find dist -name '*.d.ts' -delete
# Keeps only what the router needs at run time, without declarations and source maps.
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
# For LLM_ROUTER_USAGE_SPOOL: a new volume mounted there belongs to the user of the process. Users of group 0 can write to it too,
# because OpenShift runs containers as a random user of that group.
RUN mkdir -m 770 /var/lib/llm-router && chown 1000:0 /var/lib/llm-router
# Fills Node's compile cache by starting the router once, which makes every start a third faster. V8 only uses cached code that was
# compiled with the same options, so they are those of CMD. If this fails, such as on a slow or emulated builder or on one without a
# network, the image has no cache.
RUN mkdir .compile-cache && chown 1000 .compile-cache \
  && (setpriv --reuid=1000 --regid=1000 --clear-groups timeout --kill-after=10 60 sh -c \
    'node --disable-sigusr1 --expose-gc --max-semi-space-size=16 dist/server.js & until node dist/cli.js healthcheck; do sleep 1; done; kill $! && wait $!' \
    || echo 'The compile cache was not filled: the first start of a container takes longer.') \
  && chown -R 0:0 .compile-cache && chmod -R a+rX .compile-cache
# For other commands: docker run ... llm-router llm-router check
RUN ln -s /app/bin/llm-router.js /usr/local/bin/llm-router
# The files belong to root, so the process cannot change them. Any other user can run it too. The number is that of the image's user
# "node"; with a name, Kubernetes could not verify runAsNonRoot.
USER 1000
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=10s --retries=3 \
  CMD ["node", "dist/cli.js", "healthcheck"]
# SIGUSR1 would open Node's debugger. A larger young generation costs memory and longer pauses for hardly any gain; it is
# collected after large responses (docs/decisions/0007-v8-settings.md).
CMD ["node", "--disable-sigusr1", "--expose-gc", "--max-semi-space-size=16", "dist/server.js"]
