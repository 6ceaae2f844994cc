/** A models-config.json with one group, and one model for each entry with its providers. */
export function modelsConfig(models: Record<string, object[]>): Record<string, unknown> {
  const group = Object.fromEntries(Object.entries(models).map(([alias, providers]) => [alias, { providers }]))
  return { test_models: group, active_models: { test_models: Object.keys(models) } }
}
