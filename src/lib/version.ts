import manifest from '../../package.json' with { type: 'json' }

/** The version of this router, from package.json. */
export const version: string = manifest.version
