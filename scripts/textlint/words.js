/*
 * One word for one thing (docs/architecture.md, "Vocabulary"), and none of the phrases that read as if translated. Left: what is
 * not to be written, right: what is.
 */
/** @type {readonly [RegExp, string][]} */
const instead = [
  [/\bthe house\b/i, 'the project, the code base'],
  [/\bas if all were well\b/i, 'as complete'],
  [/\btakes the place of\b/i, 'replaces'],
  [/\ba port of its own\b/i, 'a separate port'],
  [/\bis tried anew\b/i, 'is retried'],
  [/\b(?:is|are) mended\b/i, 'fixed'],
  [/\b0 is none\b/i, '0 disables it'],
  [/\bempty is none\b/i, 'empty disables it'],
  [/\bat home on\b/i, 'name the subject'],
  [/\bright key\b/i, 'valid key'],
  [/\bwrong key\b/i, 'invalid key'],
  [/\bgoes on from\b/i, 'continues'],
  [/\ba (?:second|minute|hour)\b(?= (?:requests|tokens))/i, 'per second'],
  [/\bback-?end\b/i, 'server, upstream or target'],
  [/\bworker nodes?\b/i, 'server'],
]

/**
 * A rule of textlint: https://textlint.org/docs/rule.html
 *
 * @param {{
 *   Syntax: { Str: string },
 *   RuleError: new (message: string, details: object) => Error,
 *   report(node: unknown, error: Error): void,
 *   getSource(node: unknown): string,
 *   locator: { at(index: number): object },
 * }} context
 */
export default function words(context) {
  const { Syntax, RuleError, report, getSource, locator } = context
  return {
    /** @param {unknown} node */
    [Syntax.Str](node) {
      const text = getSource(node)
      for (const [found, better] of instead) {
        const match = found.exec(text)
        if (match)
          report(node, new RuleError(`"${match[0]}": write ${better}`, { padding: locator.at(match.index) }))
      }
    },
  }
}
