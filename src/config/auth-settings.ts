interface AuthSettings {
  authEnabled: boolean
  authKeyStore: string
  authKeysFile: string
  adminKey: string
}

/** A shorter one can be guessed. */
const fewestKeyCharacters = 20

/** A protection that was asked for and cannot be had must not be missing in silence: it stops the start. */
export function authFaults({ authEnabled, authKeyStore, authKeysFile }: AuthSettings): string[] {
  if (!authEnabled) return []
  if (authKeyStore !== 'memory')
    return [
      `LLM_ROUTER_AUTH_KEY_STORE: keys are not kept in "${authKeyStore}" by this router; ` +
        'write them to a file and name it in LLM_ROUTER_AUTH_MEMORY_SEED_FILE',
    ]
  if (authKeysFile === '')
    return [
      'LLM_ROUTER_AUTH_ENABLED: LLM_ROUTER_AUTH_MEMORY_SEED_FILE must name the file with the keys of the clients',
    ]
  return []
}

/** Who names a keys file believes that keys are asked for. */
export function authWarnings({ authEnabled, authKeysFile, adminKey }: AuthSettings): string[] {
  const warnings: string[] = []
  if (!authEnabled && authKeysFile !== '')
    warnings.push(
      'LLM_ROUTER_AUTH_MEMORY_SEED_FILE has no effect without LLM_ROUTER_AUTH_ENABLED: requests are NOT authenticated',
    )
  if (adminKey !== '' && adminKey.length < fewestKeyCharacters)
    warnings.push(`LLM_ROUTER_ADMIN_KEY: under ${fewestKeyCharacters} characters it can be guessed`)
  return warnings
}
