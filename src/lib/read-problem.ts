const problems: Readonly<Record<string, string>> = {
  EACCES: 'permission denied',
  EFBIG: 'it is larger than 16 MiB',
  EISDIR: 'it is a directory',
  ENOENT: 'no such file',
  ENOTDIR: 'a part of its path is not a directory',
}

/** Says why a file cannot be read, by the code of the error: `no such file (ENOENT)`. */
export function readProblem(code: string): string {
  const problem = problems[code]
  return problem === undefined ? code : `${problem} (${code})`
}
