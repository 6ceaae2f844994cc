/** In a program that another one has forked: does each job that comes as a message, and sends back what came of it. */
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
