/**
 * What the health checks say of a server. `doubtful`: the last ones failed, but too few to count. Down are `refused` (it
 * refuses connections, or cannot be reached), `silent` (its checks time out) and `failing` (they fail otherwise).
 * `loading` and `asleep`: it says so itself.
 */
export type CheckedState = 'up' | 'doubtful' | 'refused' | 'silent' | 'failing' | 'loading' | 'asleep'

/** `gone`: no target is behind the server any more, so nothing is known of it. */
export type ServerState = CheckedState | 'gone'

/** A process that can check servers, and acts on what is found. */
export interface HealthTeamMember {
  /** True: the checks are this process's from now on. False: another one has them, or none. */
  duty(on: boolean): void
  /** What the checks have found, whoever does them. */
  learned(server: string, state: ServerState): void
  /** Asked of the one on duty alone: a request of some process has just had its first content from the server. */
  answered(server: string): void
}

/** The processes that share a configuration: one of them checks the servers, and all learn what it finds. */
export interface HealthTeam {
  /** The member hears what is known already, and then each change. Once per process. */
  join(member: HealthTeamMember): void
  /** A change that the one on duty has found; all members learn it, this one too. Of any other it counts nothing. */
  tell(server: string, state: ServerState): void
  /** A request of this process has had its first content from a server whose checks fail; the one on duty hears it. */
  answered(server: string): void
  /** This process ends: another one gets the duty. It still learns what is found. */
  leave(): void
}
