/**
 * The rules of the repository that no compiler and no linter knows.
 */
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import { ERROR_RULES } from '@kv/protocol'
import { describe, expect, test } from 'vitest'
import type { Import } from './tidy/source-files.js'
import { ROOT, importsOf, linesOf, readText, repositoryFiles } from './tidy/source-files.js'

const LINES_MAX = 400
const FORBIDDEN_NAMES = /^(utils?|helpers?|common|misc|types?|managers?|services?|handlers?)$/
const WRAPPED = ['lmdb', 'ws', 'msgpackr'] as const

const files = repositoryFiles()
const names = files ?? []
const sources = names.filter((name) => name.endsWith('.ts') && !name.endsWith('.d.ts'))
const shipped = sources.filter((name) => /^packages\/[^/]+\/src\//.test(name) && !isForTests(name))
const documents = names.filter((name) => name.endsWith('.md') && !name.endsWith('CHANGELOG.md'))

describe.skipIf(files === undefined)('tidy (needs git to know the files)', () => {
  test('there is something to look at', () => {
    expect(shipped.length).toBeGreaterThan(100)
    expect(imports(shipped).length).toBeGreaterThan(200)
  })

  describe('imports', () => {
    test('protocol: only msgpackr, and itself', () => {
      const others = imports(within('packages/protocol/')).filter(
        ({ to }) => !isBelow(to, 'packages/protocol/') && packageOf(to) !== 'msgpackr',
      )
      expect(others.map(inWords)).toEqual([])
    })

    test('client and node never import each other', () => {
      const both = [
        ...imports(within('packages/client/')).filter(({ to }) => leadsTo(to, 'node')),
        ...imports(within('packages/node/')).filter(({ to }) => leadsTo(to, 'client')),
      ]
      expect(both.map(inWords)).toEqual([])
    })

    test('nothing reaches into another package, or into its files', () => {
      const reaching = imports(sources).filter(({ from, to }) => {
        const home = from
          .split('/')
          .slice(0, from.startsWith('tests/') ? 1 : 2)
          .join('/')
        const isElsewhere = isPath(to) && !isBelow(to, `${home}/`)
        return isElsewhere || /^@kv\/[^/]+\/(?:src|dist)/.test(to)
      })
      expect(reaching.map(inWords)).toEqual([])
    })

    test('coordinator never imports shard or child', () => {
      const inner = imports(within('packages/node/src/coordinator/')).filter(
        ({ to }) =>
          isBelow(to, 'packages/node/src/shard/') || isBelow(to, 'packages/node/src/child/'),
      )
      expect(inner.map(inWords)).toEqual([])
    })

    test('shard knows neither child nor coordinator, and no socket', () => {
      const outer = imports(within('packages/node/src/shard/')).filter(
        ({ to }) =>
          ['child', 'coordinator', 'cli'].some((folder) =>
            isBelow(to, `packages/node/src/${folder}/`),
          ) || ['ws', 'node:net', 'node:http', 'node:child_process'].includes(to),
      )
      expect(outer.map(inWords)).toEqual([])
    })

    test('child never imports coordinator', () => {
      const outer = imports(within('packages/node/src/child/')).filter(({ to }) =>
        isBelow(to, 'packages/node/src/coordinator/'),
      )
      expect(outer.map(inWords)).toEqual([])
    })

    test.each(WRAPPED)('%s is imported in one file of a package', (wrapped) => {
      const importing = imports(shipped).filter(({ to }) => packageOf(to) === wrapped)
      const homes = [...new Set(importing.map(({ from }) => from))].map((from) =>
        from.split('/').slice(0, 2).join('/'),
      )
      expect(homes.length).toBeGreaterThan(0)
      expect(homes).toEqual([...new Set(homes)])
    })

    test('protocol and client use nothing of Node.js but in the files for Node.js', () => {
      const ofNode = imports([...within('packages/protocol/'), ...within('packages/client/')])
        .filter(({ to }) => to.startsWith('node:'))
        .filter(({ from }) => !from.startsWith('packages/client/src/cli/'))
      expect(ofNode.map(inWords)).toEqual([])
    })

    test('the behavioural suite could run in a browser: only client, vitest and itself', () => {
      const behaviour = sources.filter((name) => isBelow(name, 'tests/src/behaviour/'))
      const others = imports(behaviour)
        .filter(({ to }) => !isBelow(to, 'tests/src/behaviour/'))
        .filter(({ to }) => !['@kv/client', 'vitest'].includes(packageOf(to)))
      expect(behaviour.length).toBeGreaterThan(10)
      expect(others.map(inWords)).toEqual([])
    })

    test('apps and benchmarks use public entries only', () => {
      const code = sources.filter((name) => /^(apps|benchmarks)\//.test(name))
      const deep = imports(code).filter(({ to }) => /^@kv\/(?:client|node|protocol)\/./.test(to))
      expect(deep.map(inWords)).toEqual([])
    })
  })

  describe('files', () => {
    test(`none has more than ${LINES_MAX} lines`, () => {
      const long = sources.filter((name) => linesOf(readText(name) ?? '') > LINES_MAX)
      expect(long).toEqual([])
    })

    test('none is named after nothing in particular', () => {
      const vague = sources.filter((name) => {
        const parts = name.split('/').map((part) => part.replace(/(\.test)?\.ts$/, ''))
        return parts.some((part) => FORBIDDEN_NAMES.test(part))
      })
      expect(vague).toEqual([])
    })

    test('each of a package begins by saying what it is for', () => {
      const silent = shipped.filter((name) => {
        const text = readText(name) ?? ''
        return !/^(?:#!.*\n)?(?:\/\/\/.*\n)*\s*\/\*\*/.test(text)
      })
      expect(silent).toEqual([])
    })

    test('none names a place of one machine', () => {
      const places = [ROOT, homedir()].filter((place) => place.length > 3)
      const isTelling = (text: string): boolean =>
        /\/(?:home|Users)\/[a-z]|\b[A-Z]:\\Users\\/.test(text) ||
        places.some((place) => text.includes(join(place, '/')))
      const except = 'tests/src/tidy.test.ts'
      expect(names.filter((name) => name !== except && isTelling(readText(name) ?? ''))).toEqual([])
    })

    test('no test is skipped, or alone, without a condition', () => {
      const pattern = /\b(?:test|it|describe)\.(?:only|skip|todo)\b\s*\(/
      const tests = sources.filter((name) => name.endsWith('.test.ts'))
      expect(tests.filter((name) => pattern.test(readText(name) ?? ''))).toEqual([])
    })
  })

  describe('documents', () => {
    test('every error code has a heading in docs/errors.md', () => {
      const text = readText('docs/errors.md') ?? ''
      const missing = Object.keys(ERROR_RULES).filter(
        (code) => !new RegExp(`^#+ .*\\b${code}\\b`, 'm').test(text),
      )
      expect(missing).toEqual([])
    })

    test('every error code occurs in a test', () => {
      const tests = sources.filter((name) => isForTests(name) && name !== 'tests/src/tidy.test.ts')
      const text = tests.map((name) => readText(name) ?? '').join('\n')
      const unseen = Object.keys(ERROR_RULES).filter((code) => !text.includes(code))
      expect(unseen).toEqual([])
    })

    test('every promise that holds today is named by a test', () => {
      const tests = sources.filter((name) => name.endsWith('.test.ts'))
      const text = tests.map((name) => readText(name) ?? '').join('\n')
      const promises = ['P1', 'P2', 'P3', 'P4', 'P5', 'P7', 'P8']
      expect(promises.filter((promise) => !new RegExp(`\\b${promise}\\b`).test(text))).toEqual([])
    })

    test('relative links lead to files and headings that exist', () => {
      expect(documents).toContain('README.md')
      expect(documents.flatMap((name) => deadLinks(name))).toEqual([])
    })
  })
})

function isForTests(name: string): boolean {
  return /\.test\.ts$|\/testing\/|^tests\//.test(name)
}

function within(folder: string): string[] {
  return shipped.filter((name) => name.startsWith(folder))
}

function imports(of: readonly string[]): Import[] {
  return of.flatMap((name) => importsOf(name))
}

function inWords({ from, to }: Import): string {
  return `${from} imports ${to}`
}

function isPath(to: string): boolean {
  return /^(?:packages|apps|tests|benchmarks|scripts|\.\.)\b/.test(to)
}

function isBelow(to: string, folder: string): boolean {
  return to.startsWith(folder)
}

function leadsTo(to: string, name: string): boolean {
  return packageOf(to) === `@kv/${name}` || isBelow(to, `packages/${name}/`)
}

/** `msgpackr` of `msgpackr/unpack`, `@kv/node` of `@kv/node/more`. */
function packageOf(to: string): string {
  return to
    .split('/')
    .slice(0, to.startsWith('@') ? 2 : 1)
    .join('/')
}

function deadLinks(name: string): string[] {
  const text = (readText(name) ?? '').replaceAll(/```[\s\S]*?```/g, '')
  const links = [...text.matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link)
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [path = '', heading] = link.split('#')
      const target = path === '' ? name : join(dirname(name), path)
      if (!existsSync(join(ROOT, target))) return true
      return heading !== undefined && !headingsOf(target).includes(heading)
    })
    .map((link) => `${name}: ${link}`)
}

/** As GitHub makes them. */
function headingsOf(name: string): string[] {
  const lines = (readText(name) ?? '').split('\n')
  return lines
    .filter((line) => /^#+ /.test(line))
    .map((line) =>
      line
        .replace(/^#+ /, '')
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    )
}
