/** The pieces in one buffer, copied only if there are several; undefined if they are empty. */
export function joined(pieces: readonly (Buffer | undefined)[]): Buffer | undefined {
  const filled = pieces.filter((piece): piece is Buffer => piece !== undefined && piece.length > 0)
  return filled.length > 1 ? Buffer.concat(filled) : filled[0]
}
