/**
 * What a process of the node is. What it starts in turn (a look at processes, a checker) is none of
 * these, and is left alone.
 */
export type Role = 'coordinator' | 'child'

export function roleOfProcess(): Role | undefined {
  const program = process.argv[1] ?? ''
  if (program.endsWith('main.js') && program.includes('child') && process.connected) return 'child'
  return program.endsWith('node-program.js') ? 'coordinator' : undefined
}
