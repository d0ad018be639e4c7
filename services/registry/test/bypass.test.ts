import { RegistryService } from '@millrace/contracts/registry';
import { createClient, memoryTransport } from '@millrace/rpc';
import { tempDir } from '@millrace/testing';
import { expect, it } from 'vitest';
import { implementations } from '../src/handlers/index.ts';
import { modelFile, openRegistry, project, upload } from './running.ts';

it('setting an alias past its gates needs a permission of its own, whether it is asked once or again', async () => {
  await using folder = tempDir();
  const registry = await openRegistry(folder.path);
  const clientWith = (permissions: 'all' | readonly string[]) =>
    createClient(
      RegistryService,
      memoryTransport(implementations(registry), {
        authenticate: () => ({
          subject: 'somebody',
          permissions: permissions === 'all' ? 'all' : new Set(permissions),
        }),
      }),
      { deadlineMs: 20_000 },
    );
  const all = clientWith('all');
  const parent = (await all.createModel({ parent: project, modelId: 'm' })).model!.name;
  await all.uploadModelVersion(upload({ parent }, modelFile()));
  const gate = { alias: 'champion', expression: 'candidate.metrics.auc > 2.0', allowFirst: false };
  await all.createGate({ parent, gateId: 'never', gate });

  const setter = clientWith(['registry.aliases.set']);
  const request = { name: `${parent}/aliases/champion`, version: 1, requestId: 'once' };
  await expect(setter.setAlias(request)).rejects.toMatchObject({ code: 'ALIAS_GATED' });
  const past = { ...request, bypassGates: true, requestId: 'past' };
  const denied = { code: 'PERMISSION_DENIED', details: { permission: 'registry.gates.bypass' } };
  await expect(setter.setAlias(past)).rejects.toMatchObject(denied);
  const alone = clientWith(['registry.gates.bypass']);
  await expect(alone.setAlias(past)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  await clientWith(['registry.aliases.set', 'registry.gates.bypass']).setAlias(past);
  await expect(setter.setAlias(past)).rejects.toMatchObject(denied);
  await setter.setAlias({ name: `${parent}/aliases/free`, version: 1 });
  await registry.store.documents.close();
});
