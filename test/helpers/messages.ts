/** A conversation for tests that do not depend on its contents. */
export const messages = [{ role: 'user' as const, content: 'Hello' }]
