import fp from 'fastify-plugin'
import { openResponses } from '../stores/choose.ts'
import type { ResponseStore } from '../stores/responses/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Responses that `previous_response_id` continues. */
    responses: ResponseStore
  }
}

export default fp(
  (app, _options, done) => {
    const responses = openResponses(app)
    app.decorate('responses', responses)
    app.addHook('onClose', () => responses.close())
    done()
  },
  { name: 'response-store', dependencies: ['config'] },
)
