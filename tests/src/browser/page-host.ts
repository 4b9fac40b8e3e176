/**
 * Serves a page to the browser: one document and one script, on a free port.
 */
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Scene } from '../scene/scene.js'

const DOCUMENT =
  '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>kv</title>' +
  '<output></output><script type="module" src="/page.js"></script>'

/** Resolves with the port. The host ends with the scene. */
export async function hostPage(scene: Scene, code: string): Promise<number> {
  const server = createServer((request, response) => {
    const isScript = request.url === '/page.js'
    const type = isScript ? 'text/javascript' : 'text/html'
    response.writeHead(200, { 'content-type': `${type}; charset=utf-8` })
    response.end(isScript ? code : DOCUMENT)
  })
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  scene.onEnd(() => {
    server.closeAllConnections()
    return new Promise((resolve) => {
      server.close(resolve)
    })
  })
  return (server.address() as AddressInfo).port
}
