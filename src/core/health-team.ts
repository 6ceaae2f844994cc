/** What the checks say of a server. `gone`: no target is behind it any more, so nothing is known of it. */
export type ServerState = 'up' | 'down' | 'gone'

/** A process that can check servers, and acts on what is found. */
export interface HealthTeamMember {
  /** True: the checks are this process's from now on. False: another one has them, or none. */
  duty(on: boolean): void
  /** What the checks have found, whoever does them. */
  learned(server: string, state: ServerState): void
}

/** The processes that share a configuration: one of them checks the servers, and all learn what it finds. */
export interface HealthTeam {
  /** The member hears what is known already, and then each change. Once per process. */
  join(member: HealthTeamMember): void
  /** A change that the one on duty has found; all members learn it, this one too. Of any other it counts nothing. */
  tell(server: string, state: ServerState): void
  /** This process ends: another one gets the duty. It still learns what is found. */
  leave(): void
}
