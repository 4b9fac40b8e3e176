/**
 * The packages as they would be published: packed, installed with npm into an empty project, compiled
 * against and run.
 */
import { spawnSync } from 'node:child_process'
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { CANARIES } from './faults/canaries/canaries.js'
import { sceneOfTest } from './scene/scene.js'
import { ROOT } from './tidy/source-files.js'

const PACKAGES = ['protocol', 'node', 'client'] as const
const PROGRAM = join(ROOT, 'tests', 'fixtures', 'packed', 'program.ts')
const COMPILER = join(ROOT, 'node_modules', 'typescript', 'bin', 'tsc')
/** What only the harness that tests the node may hold: see `docs/reliability.md`. */
const TRACE = new RegExp(
  ['canary', 'failpoint', 'FAULTS_', ...Object.keys(CANARIES)].join('|'),
  'i',
)
const NO_REGISTRY = /E(?:NOTFOUND|CONNREFUSED|TIMEDOUT|AI_AGAIN|NETUNREACH|HOSTUNREACH)/
const TIMEOUT_MS = 120_000

describe('packed packages', () => {
  test(
    'no trace of known bugs and failpoints; installed, a program compiles strictly and runs',
    async ({ skip }) => {
      const scene = sceneOfTest()
      const project = await scene.directory()
      pack(project)
      expect(readdirSync(join(project, 'packed'))).toHaveLength(PACKAGES.length)
      expect(filesWithTraces(project)).toEqual([])
      const installed = install(project)
      skip(NO_REGISTRY.test(installed), 'the registry can not be reached')
      expect(installed).toContain('added')
      for (const name of PACKAGES) {
        const manifest = readFileSync(
          join(project, `node_modules/@kv/${name}/package.json`),
          'utf8',
        )
        expect(manifest).not.toMatch(/workspace:|catalog:/)
      }
      copyFileSync(PROGRAM, join(project, 'program.ts'))
      expect(compile(project, { exactOptionalPropertyTypes: false })).toBe('')
      expect(compile(project, { exactOptionalPropertyTypes: true })).toBe('')
      const output = run(process.execPath, ['program.js', join(project, 'data')], project)
      expect(output).toBe('user:1 Ada\nAda 1\n')
    },
    TIMEOUT_MS,
  )
})

function pack(project: string): void {
  const destination = join(project, 'packed')
  mkdirSync(destination)
  const filters = PACKAGES.flatMap((name) => ['--filter', `@kv/${name}`])
  const packing = ['scripts/pnpm.mjs', ...filters, 'pack', '--pack-destination', destination]
  run(process.execPath, packing, ROOT)
}

/** Packed files in which anything of the harness is named, or that are empty. */
function filesWithTraces(project: string): string[] {
  const packed = join(project, 'packed')
  return readdirSync(packed).filter((name) => {
    const content = gunzipSync(readFileSync(join(packed, name))).toString('latin1')
    return TRACE.test(content) || !content.includes('package/dist/')
  })
}

/** What npm said. */
function install(project: string): string {
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }\n')
  const tarballs = readdirSync(join(project, 'packed')).map((name) => join('.', 'packed', name))
  const quietly = ['--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts']
  // The test reads what npm says, however quiet the one that runs the tests is.
  const aloud = '--loglevel=notice'
  return run('npm', ['install', aloud, ...quietly, ...tarballs.map((path) => `./${path}`)], project)
}

/** What the compiler has to complain about. */
function compile(project: string, options: object): string {
  const compilerOptions = {
    ...options,
    strict: true,
    target: 'ES2022',
    lib: ['ES2022'],
    module: 'nodenext',
    types: ['node'],
    typeRoots: [join(ROOT, 'node_modules', '@types')],
    skipLibCheck: false,
  }
  const configuration = { compilerOptions, files: ['program.ts'] }
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify(configuration))
  return run(process.execPath, [COMPILER, '-p', 'tsconfig.json'], project)
}

function run(command: string, args: readonly string[], cwd: string): string {
  const { npm_config_local_prefix: _, ...env } = process.env
  const shell = process.platform === 'win32' && command === 'npm'
  const { stdout, stderr, error } = spawnSync(command, args, { cwd, env, encoding: 'utf8', shell })
  return `${stdout}${command === process.execPath ? stderr : `${stderr}${error?.message ?? ''}`}`
}
