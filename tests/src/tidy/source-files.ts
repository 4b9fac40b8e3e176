/**
 * The repository's own files, as git knows them, and what TypeScript files import.
 */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import { fileURLToPath } from 'node:url'

export const ROOT: string = fileURLToPath(new URL('../../..', import.meta.url))

/** Tracked files and such as are about to be; undefined where there is no git. */
export function repositoryFiles(): readonly string[] | undefined {
  const list = ['ls-files', '--cached', '--others', '--exclude-standard', '-z']
  const { status, stdout } = spawnSync('git', list, { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) return undefined
  const names = stdout.split('\0').filter((name) => name !== '')
  return names.filter((name) => readText(name) !== undefined)
}

/** Undefined if it is deleted, or no text. */
export function readText(name: string): string | undefined {
  try {
    const text = readFileSync(join(ROOT, name), 'utf8')
    return text.includes('\0') ? undefined : text
  } catch {
    return undefined
  }
}

export function linesOf(text: string): number {
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0)
}

export interface Import {
  readonly from: string
  /** A path in the repository if it was relative, else the name of a package. */
  readonly to: string
}

/** Imports and re-exports, static and dynamic, types too. */
export function importsOf(name: string): Import[] {
  const code = withoutComments(readText(name) ?? '')
  const pattern = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"\n]+)['"]/g
  return [...code.matchAll(pattern)].map(([, specifier = '']) => {
    const isRelative = specifier.startsWith('.')
    const to = isRelative ? normalize(join(dirname(name), specifier)) : specifier
    return { from: name, to: to.replaceAll('\\', '/') }
  })
}

function withoutComments(code: string): string {
  return code.replaceAll(/\/\*[\s\S]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '$1')
}
