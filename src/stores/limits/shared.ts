import type { LimitStore, LimitVerdict } from '../../sdk/limit-store.ts'

/**
 * Limits that several processes share, and those of this one, which hold alone while the others cannot be asked. This
 * process is asked first: what is too much here is too much for all of them, and costs no question. Never rejects.
 */
export function sharedLimits(shared: LimitStore, local: LimitStore): LimitStore {
  return {
    async admit(wish) {
      const here = await local.admit(wish)
      if (here.refusedBy !== undefined) return here
      let there: LimitVerdict
      try {
        there = await shared.admit(wish)
      } catch {
        return here // the shared store has told the log
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
        return here // likewise
      }
    },
    async leave(end) {
      await local.leave(end)
      try {
        await shared.leave(end)
      } catch {
        // likewise; what it holds there ends by itself, and these tokens are counted here alone
      }
    },
    close: () => shared.close(),
  }
}
