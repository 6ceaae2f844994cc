import type { Model, Target } from '../../sdk/target.ts'

/**
 * Names the server of each target; targets with the same name share it: its id in the configuration, otherwise `server 2`,
 * numbering hosts in configuration order, which is the same in all processes and reveals no address. A target without a host
 * is a separate server.
 */
export function serverNames(models: readonly Model[]): (target: Target) => string {
  const hosts = new Map<string, string>()
  for (const { targets, sleeping } of models)
    for (const { serverName, origin } of [...targets, ...sleeping]) {
      const host = hostIn(origin)
      if (serverName === undefined && host !== '' && !hosts.has(host))
        hosts.set(host, `server ${hosts.size + 1}`)
    }
  return ({ id, serverName, origin }) => serverName ?? hosts.get(hostIn(origin)) ?? id
}

function hostIn(origin: string): string {
  return origin === '' ? '' : new URL(origin).host
}
