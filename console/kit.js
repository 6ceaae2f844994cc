/** What all pages are drawn with. The router delivers this module and its parts as one file, which saves a request per part. */

export * from './kit/chart.js'
export * from './kit/dialogs.js'
export * from './kit/elements.js'
export * from './kit/format.js'
export * from './kit/html.js'
export * from './kit/states.js'
export * from './kit/theme.js'
export * from './kit/toasts.js'
