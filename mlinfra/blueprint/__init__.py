"""From the text of a blueprint to components with references, or to every mistake in it. Touches nothing but the files it reads."""
