"""The functions of ``tf.`` and its mathematical namespaces, by subject; the namespaces gather their names from here."""
