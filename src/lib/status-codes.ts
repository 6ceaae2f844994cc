import { getBuiltinModule } from 'node:process'

/**
 * Reason phrases by status code. Not an ESM import: that evaluates all exports of `node:http`, including the getters that load
 * fetch and WebSocket, which took 7 % of the CPU time of a start.
 */
export const { STATUS_CODES } = getBuiltinModule('node:http')
