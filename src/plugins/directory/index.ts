import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { openDirectory } from '../../stores/choose.ts'
import type { Directory } from '../../stores/directory/directory.ts'
import { type Administration, administration } from './administration.ts'

declare module 'fastify' {
  interface FastifyInstance {
    /** Clients, groups and keys of the database; undefined without LLM_ROUTER_DATABASE_URL. */
    directory: Directory | undefined
    administration: Administration
  }
}

/** The database of clients: in a cluster, the primary owns the connection. Throws ConfigError if it cannot be opened. */
export default fp(
  async (app: FastifyInstance) => {
    const directory = await openDirectory(app)
    app.decorate('directory', directory)
    app.decorate('administration', administration(directory))
    if (!directory) return
    app.addHook('onClose', () => directory.close())
    app.reload.onChange(({ setting, ...change }) => {
      const actor = { id: '', source: 'reload', address: '' } as const
      directory
        .run('recordReload', { setting, ...change }, actor)
        .catch(({ code }) => app.log.warn({ code, setting }, 'reload not written to the audit log'))
    })
  },
  { name: 'directory', dependencies: ['config', 'reload'] },
)
