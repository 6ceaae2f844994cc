import { getBuiltinModule } from 'node:process'

/**
 * Reason phrases by status code. An ESM import of `node:http` evaluates all of its exports, including the getters that load fetch and
 * WebSocket, which took 7 % of a start's processor time.
 */
export const { STATUS_CODES } = getBuiltinModule('node:http')
