import { comparison, eightAtATime, oneAtATime } from './comparison.ts'

/** Run manually: `node bench/strategies/simulate.ts` prints the tables of docs/strategies.md. */
console.log('Boxes that work on one request at a time, 60 % loaded\n')
console.log(comparison(oneAtATime))
console.log('\nBoxes that work on eight requests at a time, 60 % loaded\n')
console.log(comparison(eightAtATime))
