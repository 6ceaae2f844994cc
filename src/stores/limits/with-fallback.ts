import type { LimitStore, LimitVerdict } from './store.ts'

/**
 * Limits that several processes share, and those of this one, which apply alone while the shared store cannot be reached.
 * This process is asked first: what is too much here is too much for all of them, and costs no request. Never rejects.
 */
export function limitsWithFallback(shared: LimitStore, local: LimitStore): LimitStore {
  return {
    async admit(wish) {
      const here = await local.admit(wish)
      if (here.refusedBy !== undefined) return here
      let there: LimitVerdict
      try {
        there = await shared.admit(wish)
      } catch {
        return here // logged by the shared store
      }
      if (there.refusedBy !== undefined) await local.leave({ ...wish, tokens: 0, undone: true })
      return there
    },
    async reserve(demand) {
      const here = await local.reserve(demand)
      if (here.refusedBy !== undefined) return here
      try {
        const there = await shared.reserve(demand)
        return { ...there, slots: Math.min(here.slots, there.slots) }
      } catch {
        return here // logged by the shared store
      }
    },
    async leave(end) {
      await local.leave(end)
      try {
        await shared.leave(end)
      } catch {
        // what it holds there expires, and these tokens are counted here alone
      }
    },
    close: () => shared.close(),
  }
}
