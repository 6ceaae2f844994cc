/** A conversation, for tests in which it does not matter what is said. */
export const messages = [{ role: 'user' as const, content: 'Hello' }]
