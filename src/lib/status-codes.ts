import { getBuiltinModule } from 'node:process'

/**
 * Reason phrases by status code. An `import` of `node:http` would evaluate all of its exports, WebSocket and fetch among them, which
 * takes a tenth of the time of a start.
 */
export const { STATUS_CODES } = getBuiltinModule('node:http')
