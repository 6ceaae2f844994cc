/** For a forked program: runs each job that arrives as a message, and sends back its result. */
export function answerJobs<Job>(perform: (job: Job) => Promise<object>): void {
  process.on('message', (job: Job) => {
    perform(job).then(
      (answer) => process.send?.(answer),
      (error: unknown) => {
        console.error(error)
        process.exit(1)
      },
    )
  })
}
