/** What is said of a value that {@link looksUnexpanded}; it follows the path of the value, and does not show it. */
export const unexpandedHint =
  // biome-ignore lint/suspicious/noTemplateCurlyInString: it is what users are to write.
  'reads like the name of an environment variable, but is used as it is; write ${NAME} to have it replaced'

/**
 * Whether a value is how other programs write a reference to an environment variable: `os.environ/NAME` (LiteLLM), `$NAME`
 * (shells), `$(NAME)` (what Kubernetes leaves of a variable that it does not know), `env.NAME` and `env:NAME` (other gateways).
 */
export function looksUnexpanded(value: string): boolean {
  return /^(?:os\.environ\/\w+|\$[A-Za-z_]\w*|\$\(\w+\)|env[.:][A-Z_][A-Z0-9_]*)$/.test(value.trim())
}
