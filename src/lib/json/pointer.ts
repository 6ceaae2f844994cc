/** Returns the unescaped steps of a JSON pointer (RFC 6901): `/models/a~1b` is `models`, `a/b`. */
export function pointerSteps(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}
