import { Type } from '@sinclair/typebox'
import { choices, oneOf, text } from './setting-types.ts'

/** Configuration file, addresses, paths and processes. */
export const serverSettings = {
  modelsConfigPath: text('resources/configs/models-config.json', 'Path of the file with models and servers.'),
  serverHost: text('0.0.0.0', 'Address to listen on.'),
  serverPort: Type.Integer({
    default: 8080,
    minimum: 0,
    maximum: 65535,
    description: 'Port to listen on; 0 picks a free one.',
  }),
  adminPort: Type.Integer({
    default: 0,
    minimum: 0,
    maximum: 65535,
    description: 'Serves metrics, probes and the console on a separate port only; 0 disables it.',
  }),
  serverType: oneOf(
    choices.serverType,
    'single',
    'One process (also `flask`, `waitress`), or a cluster of them (also `gunicorn`).',
    'one of: single (also flask, waitress), cluster (also gunicorn)',
  ),
  workersCount: Type.Integer({
    default: 2,
    minimum: 1,
    maximum: 1024,
    description: 'Number of worker processes of a cluster.',
  }),
  endpointPrefix: Type.String({
    default: '/api',
    pattern: '^(?:/[A-Za-z0-9._~-]+)*$',
    allowed: 'a path of letters, digits and . _ ~ - between slashes, such as /api',
    description: "Prefix of the router's own paths; may be empty.",
  }),
  basePath: Type.String({
    default: '',
    pattern: '^(?:/[A-Za-z0-9._~-]+)*$',
    allowed: 'a path of letters, digits and . _ ~ - between slashes, such as /llm',
    description:
      'Path under which a reverse proxy publishes the router without removing it, such as `/llm`; every path is then served with and without it. Not needed if the proxy removes it.',
  }),
}
