/**
 * The examples of the documents: they compile strictly, run against a real node, and do what their
 * comments say.
 */
import { execFile, spawnSync } from 'node:child_process'
import { copyFileSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { UntypedClient } from '@kv/client'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { ANYTHING, check, checkFailure, MORE } from './guide/checks.js'
import { exampleOf, separateExamplesOf } from './guide/example.js'
import { Scene } from './scene/scene.js'
import { ROOT } from './tidy/source-files.js'

const COMPILER = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
const GUIDES = join(ROOT, 'docs', 'guide')
const EXAMPLE_MS_MAX = 20_000

/** File of the program → its text. */
const examples = new Map<string, string>()
for (const name of readdirSync(GUIDES).filter((file) => file.endsWith('.md'))) {
  const program = exampleOf(name, readFileSync(join(GUIDES, name), 'utf8'))
  if (program !== undefined) examples.set(name.replace('.md', ''), program)
}
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
for (const [index, program] of separateExamplesOf('README.md', readme).entries()) {
  examples.set(`readme-${index + 1}`, program)
}

test('what a comment says and what comes → are compared', async () => {
  check({ a: 1, b: [{ c: 2 }] }, { a: ANYTHING, b: [{ [MORE]: true }] }, 'here')
  expect(() => check({ a: 1, b: 2 }, { a: 1 }, 'here')).toThrow('here: {"a":1} is said')
  expect(() => check({ a: 1 }, { a: 1, b: ANYTHING }, 'here')).toThrow('here')
  expect(() => check(undefined, ANYTHING, 'here')).toThrow('here')
  await checkFailure(() => Promise.reject(new TypeError('x')), 'TypeError', 'here')
  await expect(checkFailure(() => 1, 'TypeError', 'here')).rejects.toThrow('nothing was thrown')
  expect(exampleOf('a.md', 'text\n```ts\nf(1) // → { a: 1, … }\n```\n')).toContain(
    '\ncheck(f(1), { a: 1, [MORE]: true }, "a.md:3")\n',
  )
  expect(exampleOf('a.md', 'text\n```sh\nls\n```\n')).toBe(undefined)
})

describe('examples of the documents', () => {
  const scene = new Scene('the examples')
  let project = ''
  let complaints = ''
  let url = ''
  let client: UntypedClient

  beforeAll(async () => {
    project = await scene.directory()
    // The packages are found as from a program in a workspace.
    symlinkSync(join(ROOT, 'tests', 'node_modules'), join(project, 'node_modules'), 'junction')
    writeFileSync(join(project, 'package.json'), '{ "type": "module" }\n')
    copyFileSync(join(ROOT, 'tests', 'src', 'guide', 'checks.ts'), join(project, 'checks.ts'))
    for (const [name, program] of examples) writeFileSync(join(project, `${name}.ts`), program)
    complaints = compile(project)
    const node = await scene.startNode({ children: 2 })
    url = node.url
    client = scene.client(url)
  })
  beforeEach(() => client.clear({ all: true }))
  afterAll(() => scene.end())

  test('there are some, and they compile strictly', () => {
    expect(examples.size).toBeGreaterThan(2)
    expect(complaints).toBe('')
  })

  test.each([...examples.keys()])(
    '%s: does what it says, and ends by itself',
    async (name) => {
      const run = promisify(execFile)(process.execPath, [join(project, `${name}.js`)], {
        cwd: await scene.directory(),
        env: { ...process.env, KV_URL: url },
        timeout: EXAMPLE_MS_MAX,
      })
      await expect(run).resolves.toMatchObject({ stderr: '' })
    },
    EXAMPLE_MS_MAX + 10_000,
  )
})

/** What the compiler has to complain about. */
function compile(project: string): string {
  const compilerOptions = {
    strict: true,
    exactOptionalPropertyTypes: true,
    target: 'ES2022',
    lib: ['ES2023', 'ESNext.Disposable'],
    module: 'nodenext',
    moduleDetection: 'force',
    isolatedModules: true,
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    skipLibCheck: true,
  }
  const include = ['*.ts']
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include }))
  const { stdout, stderr } = spawnSync(process.execPath, [COMPILER, '-p', project], {
    encoding: 'utf8',
  })
  return stdout + stderr
}
