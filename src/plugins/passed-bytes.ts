import fp from 'fastify-plugin'
import { garbageCollector } from '../core/garbage-collector.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** To be told of bytes that were read into memory and are soon of no more use: bodies, and what upstreams answer. */
    passedBytes(bytes: number): void
  }
}

/** So much may lie about, in bytes. */
const maxLeftBytes = 32 * 1024 * 1024

/**
 * Has young garbage collected after so many bytes went through. V8 collects it when new objects fill their room, and what goes
 * through in large pieces makes few of them: its buffers would be left until all of the heap is collected, which costs fifty
 * times as much and comes only when there are several times as many.
 */
export default fp(
  (app, _options, done) => {
    const collect = garbageCollector()
    let left = 0
    app.decorate('passedBytes', (bytes) => {
      left += bytes
      if (left < maxLeftBytes) return
      left = 0
      collect('minor')
    })
    done()
  },
  { name: 'passed-bytes' },
)
