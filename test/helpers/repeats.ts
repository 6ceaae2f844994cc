/** How often a failure is tried: the first number in every test run, the second in `npm run test:soak`. */
export function repeats(quick: number, soak: number): number {
  return process.env.LLM_ROUTER_TEST_SOAK === '1' ? soak : quick
}
