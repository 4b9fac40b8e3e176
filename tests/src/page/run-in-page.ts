/**
 * Runs suites inside a page, one test after the other, and tells how each ended.
 */
import type { File, Task, VitestRunner, VitestRunnerConfig } from '@vitest/runner'
import { startTests } from '@vitest/runner'
import type { PageResult } from './results.js'

const TIMEOUT_MS = 30_000

const CONFIG: VitestRunnerConfig = {
  root: '/',
  setupFiles: [],
  name: undefined,
  passWithNoTests: false,
  testNamePattern: undefined,
  allowOnly: false,
  sequence: { seed: 1, hooks: 'stack', setupFiles: 'list' },
  chaiConfig: undefined,
  maxConcurrency: 1,
  testTimeout: TIMEOUT_MS,
  hookTimeout: TIMEOUT_MS,
  retry: 0,
  includeTaskLocation: false,
  tags: [],
  tagsFilter: undefined,
  strictTags: false,
}

/** `declare` calls `describe` and `test`, as a test file does while it is loaded. */
export async function runInPage(declare: () => void): Promise<readonly PageResult[]> {
  const runner: VitestRunner = { config: CONFIG, importFile: () => declare() }
  const files = await startTests(['/page.test.ts'], runner)
  return files.flatMap((file) => [
    ...failuresAround(file),
    ...file.tasks.flatMap((task) => resultsOf(task, [])),
  ])
}

function resultsOf(task: Task, above: readonly string[]): PageResult[] {
  const path = [...above, task.name]
  if (task.type === 'suite') return task.tasks.flatMap((inner) => resultsOf(inner, path))
  return [{ path, hasPassed: task.result?.state === 'pass', errors: errorsOf(task) }]
}

/** Errors of a hook around tests, or of the declaration itself: they belong to no test. */
function failuresAround(task: Task | File): PageResult[] {
  if (task.type !== 'suite') return []
  const errors = errorsOf(task)
  const inner = task.tasks.flatMap((next) => failuresAround(next))
  if (errors.length === 0) return inner
  return [{ path: [task.name, 'what is around its tests'], hasPassed: false, errors }, ...inner]
}

function errorsOf(task: Task): string[] {
  const errors = task.result?.errors ?? []
  return errors.map(({ message, stack, diff }) => {
    const told = stack?.includes(message) === true ? stack : `${message}\n${stack ?? ''}`
    return diff === undefined ? told : `${told}\n${diff}`
  })
}
