import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { startRouter, type TestRouter } from './router.ts'

/**
 * One router for many tests that run one after the other: each test sets its models-config.json, which replaces the previous
 * one as it would in production. A reload takes a tenth of a start. Tests with the same environment share the router.
 */
export class SharedRouter {
  readonly #env: Record<string, string>
  readonly #routers = new Map<string, TestRouter>()

  constructor(env: Record<string, string> = {}) {
    this.#env = env
  }

  /** The router with these models; its log lines start now. */
  async with(models: unknown, env: Record<string, string> = {}): Promise<TestRouter> {
    const all = { ...this.#env, ...env }
    const key = JSON.stringify(Object.entries(all).sort())
    const router = this.#routers.get(key)
    if (router === undefined) {
      const started = await startRouter({ env: all, models })
      this.#routers.set(key, started)
      return view(started)
    }
    const from = view(router)
    writeFileSync(router.file, JSON.stringify(models))
    await router.app.reload.now()
    assert.deepEqual(
      from.logs.filter(({ msg }) => String(msg).endsWith('stay in effect')),
      [],
    )
    return view(router)
  }

  async close(): Promise<void> {
    await Promise.all([...this.#routers.values()].map((router) => router.close()))
  }
}

/** The router without its earlier log lines; the `SharedRouter` closes it. */
function view(router: TestRouter): TestRouter {
  const from = router.logs.length
  return {
    ...router,
    get logs() {
      return router.logs.slice(from)
    },
    logged: (wanted) => router.logged((line) => router.logs.lastIndexOf(line) >= from && wanted(line)),
    close: async () => undefined,
  }
}
