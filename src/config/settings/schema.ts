import { type Static, Type } from '@sinclair/typebox'
import { accessSettings } from './groups/access.ts'
import { contentSettings } from './groups/content.ts'
import { networkSettings } from './groups/network.ts'
import { operationSettings } from './groups/operation.ts'
import { redisSettings } from './groups/redis.ts'
import { requestSettings } from './groups/requests.ts'
import { serverSettings } from './groups/server.ts'
import { teamsSettings } from './groups/teams.ts'
import { textEndpointSettings } from './groups/text-endpoints.ts'
import { pluginSettings } from './plugins.ts'

/**
 * The settings of a process, each set by one environment variable, see settings.ts. Descriptions are for operators and use the
 * unit of the variable; docs/configuration.md is generated from them.
 */
export const ConfigSchema = Type.Object({
  ...serverSettings,
  ...requestSettings,
  ...operationSettings,
  ...redisSettings,
  ...textEndpointSettings,
  ...accessSettings,
  ...teamsSettings,
  ...contentSettings,
  ...pluginSettings,
  ...networkSettings,
})

export type Config = Static<typeof ConfigSchema>
