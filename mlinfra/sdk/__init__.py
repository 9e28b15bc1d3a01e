"""All that a provider author imports: resource types, field policies, workloads, lowering, errors."""
